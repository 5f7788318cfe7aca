import Foundation

/// Where text or log lines go. It may be closed, full, or a pipe that nobody reads: writing reports that, and never traps.
///
/// (`print` ignores such failures, and `FileHandle.write(_:)` ends the process.)
final class OutputDescriptor: Sendable {
    static let standardOutput = OutputDescriptor(STDOUT_FILENO, name: "standard output", isOwned: false)
    static let standardError = OutputDescriptor(STDERR_FILENO, name: "standard error", isOwned: false)

    /// The number of bytes that a pipe takes without blocking when the kernel reports that it has room (`PIPE_BUF` on Linux). A
    /// longer write could block.
    private static let pipePiece = 4096
    /// How long to wait for room before `mayWait` is asked again.
    private static let waitingStep = Duration.milliseconds(50)

    private let number: CInt
    private let name: String
    private let isOwned: Bool
    private let isRegularFile: Bool

    /// - Parameter isOwned: closed with this object.
    init(_ number: CInt, name: String, isOwned: Bool) {
        self.number = number
        self.name = name
        self.isOwned = isOwned
        var information = stat()
        isRegularFile = fstat(number, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
    }

    deinit { if isOwned { Foundation.close(number) } }

    /// Must be called before everything else. After it, a write to a pipe without a reader returns an error instead of ending
    /// the process, and no file or socket that is opened later becomes standard output because the caller had closed standard
    /// output.
    ///
    /// A closed descriptor is filled with one that cannot be used in its direction, so that its users still see a failure.
    static func prepareStandardDescriptors() {
        signal(SIGPIPE, SIG_IGN)
        // `open` takes the lowest free number.
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
            _ = Foundation.open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// Writes all bytes.
    ///
    /// - Parameter mayWait: called repeatedly while there is no room; if it returns false, the write is given up. Bytes written
    ///   before that stay written.
    func write(_ bytes: [UInt8], mayWait: () -> Bool = { true }) throws(OutputProblem) {
        var start = 0
        while start < bytes.count {
            if !isRegularFile, !hasRoom(within: .zero) {
                guard mayWait() else { throw OutputProblem(output: name, reason: .full) }
                guard hasRoom(within: Self.waitingStep) else { continue }
            }
            let count = isRegularFile ? bytes.count - start : min(bytes.count - start, Self.pipePiece)
            let written = bytes.withUnsafeBytes { Foundation.write(number, $0.baseAddress?.advanced(by: start), count) }
            if written >= 0 {
                start += written
                continue
            }
            switch errno {
            case EINTR: break
            // Another process made the descriptor non-blocking and filled it first.
            case EAGAIN: guard mayWait() else { throw OutputProblem(output: name, reason: .full) }
            default: throw OutputProblem(output: name, reason: .failed(errno))
            }
        }
    }

    /// Gives up when the text has not been written after `patience`.
    func write(_ text: String, patience: Duration) throws(OutputProblem) {
        let deadline = ContinuousClock.now + patience
        try write(Array(text.utf8)) { ContinuousClock.now < deadline }
    }

    /// Also true when writing would fail at once.
    private func hasRoom(within time: Duration) -> Bool {
        var request = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, CInt(time / .milliseconds(1))) > 0
    }
}

/// Why something could not be written.
struct OutputProblem: Error, Equatable, CustomStringConvertible {
    enum Reason: Equatable {
        /// The system's number for the error.
        case failed(CInt)
        /// Nobody reads from the pipe.
        case full
    }

    let output: String
    let reason: Reason

    var description: String {
        switch reason {
        case .failed(let code): "cannot write to \(output): \(String(cString: strerror(code)))"
        case .full: "cannot write to \(output): nobody reads from that pipe"
        }
    }
}
