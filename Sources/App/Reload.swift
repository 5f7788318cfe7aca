import Foundation
import Logging

/// Reads the configuration file again: on SIGHUP, on `POST /admin/reload`, and when it changes or a file with certificates or keys that it
/// names.
actor Reload {
    private let file: String
    private let environment: [String: String]
    private let adjust: @Sendable (inout Configuration) -> Void
    private let balancer: Balancer
    private let logger: Logger
    private var lastStamp: Stamp?
    /// Of the other files that the configuration in force names, or the one that could not be read. Nil: there is no such file.
    private var otherStamps: [String: Stamp?]
    private var latest: Task<String?, Never>?

    /// - Parameters:
    ///   - configuration: the one in force.
    ///   - adjust: applies the values that the command line overrides, after every reading of the file.
    init(
        file: String, configuration: Configuration, environment: [String: String], balancer: Balancer, logger: Logger,
        adjust: @escaping @Sendable (inout Configuration) -> Void
    ) {
        self.file = file
        self.environment = environment
        self.balancer = balancer
        self.logger = logger
        self.adjust = adjust
        lastStamp = Stamp(file)
        otherStamps = Self.stamps(configuration.otherFiles)
    }

    /// Returns nil when the new configuration is in force; otherwise the reason why nothing has changed.
    ///
    /// Reloads run one after the other: an actor alone would let a second reload overtake the first while the first is being
    /// applied.
    func reload(_ reason: String) async -> String? {
        let previous = latest
        let reading = Task {
            _ = await previous?.value
            return await read(reason)
        }
        latest = reading
        return await reading.value
    }

    private func read(_ reason: String) async -> String? {
        lastStamp = Stamp(file)
        // Before they are read: a change meanwhile is seen the next time.
        otherStamps = Self.stamps(otherStamps.keys)
        if lastStamp?.isRegularFile == false {
            // Reading a pipe that nobody writes to would never end, and later reloads wait for this one.
            let problem = "\(file) is no regular file any more; it is read at the start only"
            logger.error("configuration not changed", metadata: ["problems": "\(problem)", "reason": "\(reason)"])
            balancer.note(problems: problem)
            return problem
        }
        switch ConfigurationLoader.load(file: file, environment: environment) {
        case .failure(let problems):
            watchFurther(problems.files)
            logger.error("configuration not changed", metadata: ["problems": "\(problems)", "reason": "\(reason)"])
            balancer.note(problems: problems.description)
            return problems.description
        case .success(var configuration):
            adjust(&configuration)
            otherStamps = otherStamps.filter { configuration.otherFiles.contains($0.key) }
            watchFurther(configuration.otherFiles)
            do {
                try await balancer.apply(configuration, file: file)
                logger.notice("configuration read again", metadata: ["file": "\(file)", "reason": "\(reason)"])
                let fixed = balancer.keysThatNeedRestart(configuration)
                if !fixed.isEmpty {
                    logger.warning(
                        "some changes need a restart and are not in force", metadata: ["keys": "\(fixed.joined(separator: ", "))"]
                    )
                }
                return nil
            } catch {
                let problem = "The new configuration could not be put in force: \(error)"
                balancer.note(problems: problem)
                return problem
            }
        }
    }

    /// Checks the files once a second until cancelled.
    func watch() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            // A file that is being replaced may be absent for a moment.
            if let stamp = Stamp(file), stamp != lastStamp {
                _ = await reload("file changed")
            } else if let changed = otherStamps.first(where: { path, last in Stamp(path) != last }) {
                _ = await reload("\(changed.key) changed")
            }
        }
    }

    private func watchFurther(_ files: [String]) {
        for file in files where otherStamps[file] == nil { otherStamps[file] = .some(Stamp(file)) }
    }

    private static func stamps(_ files: some Sequence<String>) -> [String: Stamp?] {
        Dictionary(files.map { ($0, Stamp($0)) }) { first, _ in first }
    }

    /// Values that change when the file changes, also when another file is moved to its place.
    private struct Stamp: Equatable {
        /// The bytes of the modification time. Its members cannot be used by name: depending on the other imports, the compiler
        /// finds them in a module that cannot be imported.
        var modified: [UInt8]
        var size: Int
        var inode: UInt
        var isRegularFile: Bool

        init?(_ file: String) {
            var information = stat()
            guard stat(file, &information) == 0 else { return nil }
            #if canImport(Darwin)
                let time = information.st_mtimespec
            #else
                let time = information.st_mtim
            #endif
            modified = withUnsafeBytes(of: time) { Array($0) }
            size = Int(information.st_size)
            inode = UInt(information.st_ino)
            isRegularFile = information.st_mode & S_IFMT == S_IFREG
        }
    }
}
