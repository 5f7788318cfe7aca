import Testing
import Wire

@testable import Control

@Suite("Request statistics") struct RequestStatisticsTests {
    /// 2026-11-23T20:15:00Z
    private let start = 1_795_464_900

    @Test("nothing recorded: every key is there, with nothing in it")
    func empty() {
        #expect(
            RequestStatistics().json(at: start).text
                == #"{"total_requests":0,"unique_ips":0,"unique_models":0,"unique_usernames":0,"#
                + #""ip_counts":{},"model_counts":{},"username_counts":{},"time_series":{},"#
                + #""retention_hours":1,"oldest_log":null,"newest_log":null}"#)
    }

    @Test("requests are counted by client, model, user name and minute, the most frequent first")
    func counts() {
        var statistics = RequestStatistics()
        statistics.record(at: start + 1, ip: "10.0.0.1", model: "qwen3")
        statistics.record(at: start + 59, ip: "10.0.0.2", model: "gpt-oss:20b", username: "田中")
        statistics.record(at: start + 60, ip: "10.0.0.2", model: "gpt-oss:20b", username: "田中")
        statistics.record(at: start + 185, ip: "10.0.0.2", model: "gemma3", username: "鈴木")
        #expect(
            statistics.json(at: start + 200).text
                == #"{"total_requests":4,"unique_ips":2,"unique_models":3,"unique_usernames":2,"#
                + #""ip_counts":{"10.0.0.2":3,"10.0.0.1":1},"#
                + #""model_counts":{"gpt-oss:20b":2,"gemma3":1,"qwen3":1},"#
                + #""username_counts":{"田中":2,"鈴木":1},"#
                + #""time_series":{"2026-11-23T20:15:00Z":2,"2026-11-23T20:16:00Z":1,"2026-11-23T20:18:00Z":1},"#
                + #""retention_hours":1,"oldest_log":"2026-11-23T20:15:01Z","newest_log":"2026-11-23T20:18:05Z"}"#)
    }

    @Test("a request counts for an hour and is forgotten with its minute", arguments: [(3600, 1), (3659, 1), (3660, 0)])
    func forgets(age: Int, total: Int) {
        var statistics = RequestStatistics()
        statistics.record(at: start, ip: "a", model: "m")
        #expect(statistics.json(at: start + age)["total_requests"] == JSON(total))
    }

    @Test("what is an hour old is dropped while recording, not only while reading")
    func bounded() {
        var statistics = RequestStatistics()
        for minute in 0..<1000 { statistics.record(at: start + minute * 60, ip: "a", model: "m") }
        let mirror = Mirror(reflecting: statistics).descendant("minutes")
        #expect((mirror as? [Any])?.count == 61)
    }

    @Test("requests may come out of order")
    func outOfOrder() {
        var statistics = RequestStatistics()
        for second in [130, 10, 70, 65, 0] { statistics.record(at: start + second, ip: "a", model: "m") }
        let answer = statistics.json(at: start + 130)
        #expect(
            answer["time_series"]
                == ["2026-11-23T20:15:00Z": 2, "2026-11-23T20:16:00Z": 2, "2026-11-23T20:17:00Z": 1])
        #expect(answer["oldest_log"] == "2026-11-23T20:15:00Z")
        #expect(answer["newest_log"] == "2026-11-23T20:17:10Z")
    }

    @Test("a request that is recorded after an hour, when it ends, takes nothing away from younger ones")
    func recordedLate() {
        var statistics = RequestStatistics()
        statistics.record(at: start + 3500, ip: "young", model: "m")
        statistics.record(at: start, ip: "old", model: "m")
        #expect(statistics.json(at: start + 3500)["ip_counts"] == ["old": 1, "young": 1])
    }

    @Test("a clock that is set back leaves nothing in the future", arguments: [120, 1800, 7200])
    func clockSetBack(seconds: Int) {
        var statistics = RequestStatistics()
        statistics.record(at: start + seconds, ip: "future", model: "m")
        statistics.record(at: start, ip: "now", model: "m")
        #expect(statistics.json(at: start)["ip_counts"] == ["now": 1])
    }

    @Test("more names than the limit are counted as others, and no request is lost")
    func nameLimit() {
        var statistics = RequestStatistics(nameLimit: 3)
        for client in 0..<10 { statistics.record(at: start, ip: "c\(client)", model: "m") }
        statistics.record(at: start, ip: "c0", model: "m")
        let answer = statistics.json(at: start)
        #expect(answer["ip_counts"] == ["c0": 2, "c1": 1, "c2": 1, "(other)": 7])
        #expect(answer["unique_ips"] == 4)
        #expect(answer["total_requests"] == 11)
    }

    @Test("the limit holds for the answer too, which names the most frequent of the hour")
    func limitOfTheAnswer() {
        var statistics = RequestStatistics(nameLimit: 2)
        for minute in 0..<5 { statistics.record(at: start + minute * 60, ip: "rare\(minute)", model: "m") }
        for _ in 0..<3 { statistics.record(at: start + 240, ip: "frequent", model: "m") }
        let answer = statistics.json(at: start + 240)
        #expect(answer["ip_counts"] == ["frequent": 3, "rare0": 1, "(other)": 4])
        #expect(answer["unique_ips"] == 6)
    }

    @Test("a client that calls itself (other) does not make the same key twice")
    func nameOfOthers() {
        var statistics = RequestStatistics(nameLimit: 1)
        for client in ["(other)", "a", "b"] { statistics.record(at: start, ip: client, model: "m") }
        #expect(statistics.json(at: start)["ip_counts"] == ["a": 1, "(other)": 2])
    }

    @Test("long names are cut, also in the middle of a character")
    func longNames() throws {
        var statistics = RequestStatistics()
        statistics.record(at: start, ip: String(repeating: "x", count: 5000), model: "x" + String(repeating: "田", count: 5000))
        let answer = statistics.json(at: start)
        #expect(answer["ip_counts"]?.objectValue?.first?.name == String(repeating: "x", count: 200))
        let model = try #require(answer["model_counts"]?.objectValue?.first?.name)
        #expect(model.hasPrefix("x" + String(repeating: "田", count: 66)))
        #expect(model.utf8.count < 210)
    }

    @Test("no time makes it crash", arguments: [Int.min, -1, 0, Int.max])
    func anyTime(seconds: Int) {
        var statistics = RequestStatistics()
        statistics.record(at: seconds, ip: "a", model: "m")
        #expect(statistics.json(at: seconds)["total_requests"] == 1)
        #expect(statistics.json(at: start)["total_requests"] == 0)
    }
}
