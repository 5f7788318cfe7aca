import Routing
import Wire

/// The clients, models and users of the last hour's requests, for `/access-log-stats`.
///
/// Kept for each minute, with a limit on distinct names, so that memory is bounded whatever clients send.
struct RequestStatistics: Equatable, Sendable {
    /// How long requests are counted.
    static let retentionHours = 1
    /// The name under which all names above the limit are counted.
    static let otherName = "(other)"
    /// Longer names are cut: a client chooses its address (`X-Forwarded-For`), model and user name freely.
    static let longestName = 200

    private let nameLimit: Int
    /// In ascending order; at most those of the hour before and the hour after the last recorded request.
    private var minutes: [Minute] = []

    /// - Parameter nameLimit: how many distinct clients, models and users are distinguished in one minute (and in the
    ///   answer). The rest is counted as `(other)`.
    init(nameLimit: Int = 1000) {
        self.nameLimit = max(1, nameLimit)
    }

    /// Counts one model request.
    ///
    /// - Parameters:
    ///   - seconds: when the request arrived, since 1970-01-01T00:00:00Z. The calls need not be in order of time.
    ///   - username: the user's name, if the request contains one.
    mutating func record(at seconds: Int, ip: String, model: String, username: String? = nil) {
        let start = Self.startOfMinute(seconds)
        var position = minutes.endIndex - 1
        if position < 0 || minutes[position].start != start {
            position = (minutes.lastIndex { $0.start < start } ?? -1) + 1
        }
        let isNew = position == minutes.endIndex || minutes[position].start != start
        if isNew { minutes.insert(Minute(start: start, firstRequest: seconds, lastRequest: seconds), at: position) }
        minutes[position].count(at: seconds, ip: ip, model: model, username: username, nameLimit: nameLimit)
        // A request may be recorded at its end, after requests that arrived later, so later minutes are kept.
        if isNew { forget(seenFrom: seconds, futureSeconds: Self.retentionHours * 3600) }
    }

    /// The answer, with names in descending order of their counts and minutes ascending.
    ///
    /// - Parameters:
    ///   - now: seconds since 1970-01-01T00:00:00Z.
    ///   - names: how clients and users are shown.
    func json(at now: Int, names: ClientNames = ClientNames(areHidden: false)) -> JSON {
        var recent = self
        recent.forget(seenFrom: now, futureSeconds: 60)
        let minutes = recent.minutes
        let clients = Self.total(minutes, \.clients)
        let models = Self.total(minutes, \.models)
        let users = Self.total(minutes, \.users)
        return [
            "total_requests": JSON(minutes.reduce(0) { $0 + $1.requests }),
            "unique_ips": JSON(clients.distinct),
            "unique_models": JSON(models.distinct),
            "unique_usernames": JSON(users.distinct),
            "ip_counts": clients.json(nameLimit: nameLimit, names.shown),
            "model_counts": models.json(nameLimit: nameLimit),
            "username_counts": users.json(nameLimit: nameLimit, names.shown),
            "time_series": .object(
                minutes.map { .init(name: UTCTimestamp.text(seconds: $0.start), value: JSON($0.requests)) }),
            "retention_hours": JSON(Self.retentionHours),
            "oldest_log": JSON(minutes.first.map { UTCTimestamp.text(seconds: $0.firstRequest) }),
            "newest_log": JSON(minutes.last.map { UTCTimestamp.text(seconds: $0.lastRequest) }),
        ]
    }

    /// Drops the minutes that are older than one hour, and those too far in the future, which would otherwise stay for ever
    /// after the clock was set back.
    private mutating func forget(seenFrom now: Int, futureSeconds: Int) {
        let current = Self.startOfMinute(now)
        let range = current - Self.retentionHours * 3600...current + futureSeconds
        minutes.removeAll { !range.contains($0.start) }
    }

    private static func total(_ minutes: [Minute], _ part: KeyPath<Minute, NameCounts>) -> NameCounts {
        minutes.reduce(into: NameCounts()) { $0.add($1[keyPath: part]) }
    }

    /// The minute's first second. Impossible times are clamped, so that the sums above cannot overflow.
    private static func startOfMinute(_ seconds: Int) -> Int {
        let seconds = min(max(seconds, 0), 253_402_300_799)
        return seconds - seconds % 60
    }
}

/// The requests of one minute.
private struct Minute: Equatable, Sendable {
    /// Its first second.
    let start: Int
    var firstRequest: Int
    var lastRequest: Int
    var requests = 0
    var clients = NameCounts()
    var models = NameCounts()
    var users = NameCounts()

    mutating func count(at seconds: Int, ip: String, model: String, username: String?, nameLimit: Int) {
        firstRequest = min(firstRequest, seconds)
        lastRequest = max(lastRequest, seconds)
        requests += 1
        clients.add(ip, nameLimit: nameLimit)
        models.add(model, nameLimit: nameLimit)
        if let username { users.add(username, nameLimit: nameLimit) }
    }
}

/// How often each name occurred.
private struct NameCounts: Equatable, Sendable {
    private struct Entry: Equatable, Sendable {
        let name: String
        var count: Int
    }

    private var entries: [Entry] = []
    private var indices: [String: Int] = [:]
    private var other = 0
    /// The index of the entry counted last. Most requests have the same name as the previous one and are counted without a
    /// search.
    private var last = 0

    /// The number of distinct names. All names above the limit count as one.
    var distinct: Int { entries.count + (other > 0 ? 1 : 0) }

    mutating func add(_ name: String, nameLimit: Int) {
        if last < entries.count, entries[last].name == name { return entries[last].count += 1 }
        let name = name.cut(toBytes: RequestStatistics.longestName)
        if let index = indices[name] {
            entries[index].count += 1
            last = index
        } else if name != RequestStatistics.otherName, entries.count < nameLimit {
            append(name, 1)
        } else {
            other += 1
        }
    }

    mutating func add(_ more: NameCounts) {
        for entry in more.entries {
            if let index = indices[entry.name] { entries[index].count += entry.count } else { append(entry.name, entry.count) }
        }
        other += more.other
    }

    private mutating func append(_ name: String, _ count: Int) {
        last = entries.count
        indices[name] = last
        entries.append(Entry(name: name, count: count))
    }

    /// The most frequent names first, equally frequent names in alphabetical order, and the remaining names as one number.
    func json(nameLimit: Int, _ shown: (String) -> String = { $0 }) -> JSON {
        let entries = entries.map { Entry(name: shown($0.name), count: $0.count) }
        let sorted = entries.sorted { $0.count != $1.count ? $0.count > $1.count : $0.name < $1.name }
        let rest = sorted.dropFirst(nameLimit).reduce(other) { $0 + $1.count }
        var members = sorted.prefix(nameLimit).map { JSON.Member(name: $0.name, value: JSON($0.count)) }
        if rest > 0 { members.append(.init(name: RequestStatistics.otherName, value: JSON(rest))) }
        return .object(members)
    }
}
