import Foundation
import Testing

@testable import App

@Suite("Writing to a descriptor", .timeLimit(.minutes(1))) struct OutputDescriptorTests {
    init() { OutputDescriptor.prepareStandardDescriptors() }

    private func reason(_ body: () throws(OutputProblem) -> Void) -> OutputProblem.Reason? {
        do { try body() } catch { return error.reason }
        return nil
    }

    @Test("a full disk is an error")
    func full() throws {
        let disk = OutputDescriptor(open("/dev/full", O_WRONLY), name: "the disk", isOwned: true)
        #expect(reason { () throws(OutputProblem) in try disk.write([1, 2, 3]) } == .failed(ENOSPC))
        do { try disk.write([1]) } catch {
            #expect(error.description == "cannot write to the disk: No space left on device")
        }
    }

    @Test("a closed descriptor is an error")
    func closed() {
        let nothing = OutputDescriptor(900_000, name: "nothing", isOwned: false)
        #expect(reason { () throws(OutputProblem) in try nothing.write([1]) } == .failed(EBADF))
    }

    @Test("a pipe whose reader has left is an error, not the end of the process")
    func readerGone() throws {
        let pipe = try TestPipe()
        pipe.closeReader()
        #expect(reason { () throws(OutputProblem) in try pipe.output.write([1]) } == .failed(EPIPE))
    }

    @Test("a pipe that nobody reads is given up when the caller does not want to wait any longer")
    func nobodyReads() throws {
        let pipe = try TestPipe()
        var asked = 0
        let problem = reason { () throws(OutputProblem) in
            try pipe.output.write([UInt8](repeating: 7, count: 1_000_000)) {
                asked += 1
                return asked < 3
            }
        }
        #expect(problem == .full)
        #expect(asked == 3)
        #expect(reason { () throws(OutputProblem) in try pipe.output.write("more", patience: .zero) } == .full)
    }

    @Test("a slow reader gets all of it")
    func slowReader() async throws {
        let pipe = try TestPipe()
        let bytes = (0..<500_000).map { UInt8(truncatingIfNeeded: $0) }
        async let received = Task.detached { pipe.read(count: bytes.count) }.value
        let output = pipe.output
        try await Task.detached { try output.write(bytes) }.value
        #expect(await received == bytes)
    }

    @Test("descriptors that are open stay what they are")
    func openOnesStay() {
        var before = stat()
        var after = stat()
        fstat(STDERR_FILENO, &before)
        OutputDescriptor.prepareStandardDescriptors()
        fstat(STDERR_FILENO, &after)
        #expect((before.st_dev, before.st_ino) == (after.st_dev, after.st_ino))
    }
}

/// A pipe that a test writes to, and reads when it wants.
final class TestPipe: Sendable {
    let output: OutputDescriptor
    private let reader: CInt

    init() throws {
        // Otherwise a test that writes after the reader has left ends the process, if it happens to be the first to do anything.
        OutputDescriptor.prepareStandardDescriptors()
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        reader = ends[0]
        output = OutputDescriptor(ends[1], name: "the pipe", isOwned: true)
    }

    func closeReader() { close(reader) }

    /// Waits until there are so many bytes.
    func read(count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var start = 0
        while start < count {
            let length = bytes.withUnsafeMutableBytes {
                Foundation.read(reader, $0.baseAddress?.advanced(by: start), count - start)
            }
            guard length > 0 else { break }
            start += length
        }
        return Array(bytes.prefix(start))
    }
}
