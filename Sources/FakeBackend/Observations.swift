import NIOConcurrencyHelpers
import Wire

/// What an engine has seen so far.
package struct Observations: Sendable {
    /// One request as it arrived.
    package struct Request: Sendable {
        /// One name and value, as they came.
        package struct Field: Equatable, Sendable {
            package let name: String
            package let value: String
        }

        /// Numbers requests from 1; the control path `/fake/…` has none.
        package let number: Int
        /// Numbers connections from 1: equal for two requests that shared one.
        package let connection: Int
        package let method: String
        /// Path and query, not decoded.
        package let target: String
        package let fields: [Field]
        /// The body, at most its first `keptBodyBytes`.
        package let body: [UInt8]
        package let bodyLength: Int
        package internal(set) var outcome = Outcome.inProgress

        package static let keptBodyBytes = 1 << 20

        package var bodyText: String { String(decoding: body, as: UTF8.self) }

        /// The value of the first field of that name, in any case.
        package func field(_ name: String) -> String? {
            fields.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    /// How a request ended.
    package enum Outcome: String, Sendable {
        case inProgress = "in progress"
        case completed
        /// The client closed the connection before the answer was complete.
        case cancelled
        /// The engine broke it off itself: a fault, or `stop()`.
        case broken
    }

    /// A request whose client disconnected.
    package struct Cancellation: Equatable, Sendable {
        /// The request's number.
        package let request: Int
        /// When the engine saw the connection close.
        package let at: ContinuousClock.Instant
        /// The same in milliseconds since 1970, for programs outside.
        package let unixMilliseconds: Int
        /// Body events sent until then.
        package let eventsSent: Int
    }

    /// The last requests, oldest first; probes (`/health`, `/slots`, model lists …) among them.
    package internal(set) var requests: [Request] = []
    package static let keptRequests = 200

    /// Requests that were not probes, and how they ended.
    package internal(set) var received = 0
    package internal(set) var completed = 0
    package internal(set) var broken = 0
    package internal(set) var cancellations: [Cancellation] = []
    package var cancelled: Int { cancellations.count }
    /// Requests that only asked for the state of the engine.
    package internal(set) var probes = 0

    /// Requests, other than probes, that have arrived and not ended: those in a slot and those that wait for one.
    package internal(set) var concurrency = 0
    package internal(set) var peakConcurrency = 0

    package internal(set) var connectionsAccepted = 0
    package internal(set) var connectionsOpen = 0

    /// The recorded requests that were not probes.
    package var work: [Request] { requests.filter { !Endpoint.isProbe(method: $0.method, target: $0.target) } }
}

extension Observations {
    /// The same for programs outside.
    var json: JSON {
        [
            "received": JSON(received), "completed": JSON(completed), "broken": JSON(broken), "cancelled": JSON(cancelled),
            "probes": JSON(probes), "concurrency": JSON(concurrency), "peak_concurrency": JSON(peakConcurrency),
            "connections_accepted": JSON(connectionsAccepted), "connections_open": JSON(connectionsOpen),
            "cancellations": .array(
                cancellations.map {
                    [
                        "request": JSON($0.request), "unix_ms": JSON($0.unixMilliseconds), "events_sent": JSON($0.eventsSent),
                    ]
                }),
            "requests": .array(requests.map(\.json)),
        ]
    }
}

extension Observations.Request {
    /// Headers as pairs in their order; the body as text, bytes that are not UTF-8 replaced.
    var json: JSON {
        [
            "number": JSON(number), "connection": JSON(connection), "method": .string(method), "target": .string(target),
            "headers": .array(fields.map { [.string($0.name), .string($0.value)] }),
            "body_length": JSON(bodyLength), "body": .string(bodyText), "outcome": .string(outcome.rawValue),
        ]
    }
}

/// The record into which the engine writes what it sees; it can be read from anywhere.
final class ObservationLog: Sendable {
    private let state = NIOLockedValueBox(Observations())

    var snapshot: Observations { state.withLockedValue { $0 } }

    func clear() {
        state.withLockedValue {
            var fresh = Observations()
            fresh.concurrency = $0.concurrency
            fresh.peakConcurrency = $0.concurrency
            fresh.connectionsOpen = $0.connectionsOpen
            $0 = fresh
        }
    }

    func connectionOpened() {
        state.withLockedValue {
            $0.connectionsAccepted += 1
            $0.connectionsOpen += 1
        }
    }

    func connectionClosed() {
        state.withLockedValue { $0.connectionsOpen -= 1 }
    }

    func began(_ request: Observations.Request, isProbe: Bool) {
        state.withLockedValue {
            if $0.requests.count == Observations.keptRequests { $0.requests.removeFirst() }
            $0.requests.append(request)
            if isProbe {
                $0.probes += 1
            } else {
                $0.received += 1
                $0.concurrency += 1
                $0.peakConcurrency = max($0.peakConcurrency, $0.concurrency)
            }
        }
    }

    func ended(_ number: Int, _ outcome: Observations.Outcome, eventsSent: Int, isProbe: Bool) {
        state.withLockedValue {
            if let index = $0.requests.lastIndex(where: { $0.number == number }) { $0.requests[index].outcome = outcome }
            guard !isProbe else { return }
            $0.concurrency -= 1
            switch outcome {
            case .inProgress: break
            case .completed: $0.completed += 1
            case .broken: $0.broken += 1
            case .cancelled:
                $0.cancellations.append(
                    Observations.Cancellation(
                        request: number, at: .now, unixMilliseconds: WallClock.milliseconds, eventsSent: eventsSent))
            }
        }
    }
}
