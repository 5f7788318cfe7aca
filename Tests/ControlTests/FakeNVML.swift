import Foundation
import Testing

/// A small NVML library of our own, compiled for the test, that answers what the test writes down.
///
/// Each fake has its own folder, so that tests run side by side: the library reads its answers from the file `answers` there
/// (its path is compiled in) at every call, and notes in `calls` that it was initialised or shut down.
final class FakeNVML {
    private let folder: URL
    var libraryPath: String { folder.appending(path: "libnvidia-ml.so.1").path }

    /// - Parameter without: a function that this library lacks, as one of an old driver.
    init(without missing: String? = nil) throws {
        folder = try temporaryFolder()
        let source = folder.appending(path: "nvml.c")
        try Self.source.write(to: source, atomically: true, encoding: .utf8)

        let compiler = Process()
        compiler.executableURL = URL(filePath: try #require(Self.compiler))
        compiler.arguments =
            ["-shared", "-fPIC", "-o", libraryPath, source.path, "-DFOLDER=\"\(folder.path)\""]
            + (missing.map { ["-D\($0)=renamed_away"] } ?? [])
        try compiler.run()
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0, "the fake NVML library could not be compiled")
        try answer([:])
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Sets what the library answers from now on: two devices that work, but for the given changes.
    /// `count`, and for device 0 or 1 `gpu0`, `total0`, `used0`, `name0`; the functions' codes: `init`, `count_code`,
    /// `device0_code`, `gpu0_code`, `name0_code`, `memory0_code`.
    func answer(_ changes: [String: String]) throws {
        let usual = [
            "count": "2", "gpu0": "37", "gpu1": "80", "name0": "Fake RTX 0", "name1": "Fake RTX 1",
            "total0": "8000000000", "used0": "3000000000", "total1": "24000000000", "used1": "5",
        ]
        let lines = usual.merging(changes) { $1 }.map { "\($0)=\($1)\n" }
        try lines.joined().write(to: folder.appending(path: "answers"), atomically: true, encoding: .utf8)
    }

    /// `init` and `shutdown` in the order in which they were called.
    var calls: [String] {
        let text = try? String(contentsOf: folder.appending(path: "calls"), encoding: .utf8)
        return (text ?? "").split(separator: "\n").map(String.init)
    }

    /// The system's C compiler, or the one that comes with Swift; nil only on a machine that could not build this test.
    static let compiler: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/bin"]
        let besideSwift = folders.filter { FileManager.default.isExecutableFile(atPath: "\($0)/swift") }
        let candidates = folders.flatMap { ["\($0)/cc", "\($0)/clang", "\($0)/gcc"] } + besideSwift.map { "\($0)/clang" }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    private static let source = #"""
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>

        /* Copies the answer of that key; returns 0 when the test gave none. */
        static int find(const char *key, int device, char *value, size_t size) {
            char wanted[64], line[256];
            if (device < 0) snprintf(wanted, sizeof wanted, "%s=", key);
            else snprintf(wanted, sizeof wanted, key, device);
            FILE *file = fopen(FOLDER "/answers", "r");
            if (!file) return 0;
            int found = 0;
            while (fgets(line, sizeof line, file)) {
                if (strncmp(line, wanted, strlen(wanted))) continue;
                line[strcspn(line, "\n")] = 0;
                snprintf(value, size, "%s", line + strlen(wanted));
                found = 1;
            }
            fclose(file);
            return found;
        }

        static unsigned long long number(const char *key, int device) {
            char value[256];
            return find(key, device, value, sizeof value) ? strtoull(value, 0, 10) : 0;
        }

        static void note(const char *call) {
            FILE *file = fopen(FOLDER "/calls", "a");
            if (file) { fprintf(file, "%s\n", call); fclose(file); }
        }

        /* Device handles: 1 is device 0, 2 is device 1. */
        int nvmlInit_v2(void) { note("init"); return (int)number("init", -1); }
        int nvmlShutdown(void) { note("shutdown"); return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) {
            *count = (unsigned)number("count", -1);
            return (int)number("count_code", -1);
        }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
            *device = (void *)(size_t)(index + 1);
            return (int)number("device%d_code=", (int)index);
        }
        int nvmlDeviceGetUtilizationRates(void *device, unsigned *percent) {
            int index = (int)(size_t)device - 1;
            percent[0] = (unsigned)number("gpu%d=", index);
            percent[1] = 99; /* memory controller: not what is asked for */
            return (int)number("gpu%d_code=", index);
        }
        int nvmlDeviceGetName(void *device, char *name, unsigned length) {
            int index = (int)(size_t)device - 1;
            char value[256];
            if (find("name%d=", index, value, sizeof value)) memset(name, 0, length), strncpy(name, value, length);
            return (int)number("name%d_code=", index);
        }
        int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *bytes) {
            int index = (int)(size_t)device - 1;
            bytes[0] = number("total%d=", index);
            bytes[2] = number("used%d=", index);
            return (int)number("memory%d_code=", index);
        }
        const char *nvmlErrorString(int code) {
            return code == 15 ? "GPU is lost" : code == 9 ? "Driver Not Loaded" : "Other Error";
        }
        """#
}

/// A fresh, empty folder. Whoever asks for it removes it.
func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(path: "llama-balancer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
}
