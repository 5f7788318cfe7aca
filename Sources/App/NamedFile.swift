import Foundation

/// Opens files that a person has named. Whatever is there, this never waits: a plain `open` of a pipe without a partner would, for ever.
enum NamedFile {
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    /// - Parameter flags: those of `open`.
    /// - Throws: why the file cannot be opened, without its name.
    static func open(_ path: String, _ flags: CInt, mode: mode_t = 0) throws(Problem) -> CInt {
        let number = Foundation.open(path, flags | O_CLOEXEC | O_NONBLOCK, mode)
        guard number < 0 else { return number }
        if errno == ENXIO {
            throw Problem(description: "it is a pipe or a socket that nobody reads; start its reader first, or name a file")
        }
        throw Problem(description: String(cString: strerror(errno)))
    }

    /// Nothing else than a regular file.
    static func openRegular(_ path: String, _ flags: CInt, mode: mode_t = 0) throws(Problem) -> CInt {
        let number = try open(path, flags, mode: mode)
        guard let kind = otherKind(number) else { return number }
        close(number)
        throw Problem(description: "it is \(kind), not a file")
    }

    /// The beginning of a regular file: one byte more than `limit` when it is longer.
    static func read(_ path: String, limit: Int) throws -> Data {
        let handle = FileHandle(fileDescriptor: try openRegular(path, O_RDONLY), closeOnDealloc: true)
        return try handle.read(upToCount: limit + 1) ?? Data()
    }

    /// What an open descriptor is instead of a regular file; nil when it is one.
    static func otherKind(_ number: CInt) -> String? {
        var information = stat()
        guard fstat(number, &information) == 0 else { return "unknown" }
        return otherKind(information)
    }

    static func otherKind(_ information: stat) -> String? {
        switch information.st_mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a folder"
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }
}
