import Synchronization

/// Reads NVIDIA graphics processors through NVML, the library that comes with their driver.
///
/// The library is loaded at run time, so the same program works on machines without it. When the driver disappears (an
/// update, a card that fell off the bus), reading fails and the library is closed. Later readings open it again.
final class NvidiaReader: GPUReader {
    let name = "NVIDIA (NVML)"
    private let state: Mutex<State>

    /// - Parameter libraryPath: the argument of `dlopen`: a path, or a name to look for in the system's folders.
    init(libraryPath: String = "libnvidia-ml.so.1") {
        state = Mutex(State(libraryPath: libraryPath))
    }

    func read() throws(GPUReadFailure) -> [GPUReading] {
        try state.withLock { state throws(GPUReadFailure) in try state.read() }
    }
}

/// The library while it is open, and the result to return while it is not.
private struct State: ~Copyable {
    let libraryPath: String
    var library: NVMLLibrary?
    var answerWhileClosed: Result<[GPUReading], GPUReadFailure> = .success([])
    var pause = RetryPause()

    init(libraryPath: String) { self.libraryPath = libraryPath }

    mutating func read() throws(GPUReadFailure) -> [GPUReading] {
        if library == nil, !pause.isOver() { return try answerWhileClosed.get() }
        do throws(GPUReadFailure) {
            if library == nil { library = try NVMLLibrary.open(path: libraryPath) }
            if let readings = try library?.readings() {
                pause = RetryPause()
                return readings
            }
            answerWhileClosed = .success([])
        } catch {
            library = nil
            answerWhileClosed = .failure(error)
        }
        pause.failed()
        return try answerWhileClosed.get()
    }
}

/// After how many readings the library is opened again: 1 at first, then 2, 4, 8 … up to 60.
///
/// Opening has a cost: without a driver, NVML starts a program that tries to load the driver.
struct RetryPause: Equatable {
    private var length = 0
    private var readingsLeft = 0

    /// Called once for each reading. True when this reading may try to open the library.
    mutating func isOver() -> Bool {
        if readingsLeft > 0 { readingsLeft -= 1 }
        return readingsLeft == 0
    }

    mutating func failed() {
        length = min(max(1, length * 2), 60)
        readingsLeft = length
    }
}
