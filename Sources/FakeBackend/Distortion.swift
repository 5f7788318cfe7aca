import NIOCore

/// The effect of a fault on the bytes of an answer, so that `AnswerScript` does not need to know every fault by name.
struct Distortion {
    /// How an answer is broken off.
    enum Break {
        case reset, close, stall
        /// With these bytes as the last ones of the body.
        case end([UInt8])
    }

    enum Length {
        case right, tooLong, twice
    }

    enum Cutting {
        case none
        /// One byte at a time, with a pause after each.
        case singleBytes(pause: TimeAmount)
        /// At unusual places.
        case odd
    }

    /// Nothing is sent at all.
    var insteadOfAnswer: Break?
    /// The answer is broken off after this many events of the body.
    var breakOff: (events: Int, how: Break)?
    var informational: Int?
    var headFlaw: Fault.HeadFlaw?
    var headPause: TimeAmount?
    var isHTTP10 = false
    /// A stream is collected and sent with a Content-Length.
    var collectsStream = false
    var length = Length.right
    var isUntilClose = false
    var hasChunkExtensions = false
    var cutting = Cutting.none

    init(_ fault: Fault?) {
        guard let fault else { return }
        switch fault {
        case .resetBeforeAnswer, .refuse: insteadOfAnswer = .reset
        case .closeBeforeAnswer: insteadOfAnswer = .close
        case .stallBeforeAnswer, .acceptNever: insteadOfAnswer = .stall
        case .resetAfterHeaders: breakOff = (0, .reset)
        case .resetAfterEvents(let count): breakOff = (count, .reset)
        case .closeAfterEvents(let count): breakOff = (count, .close)
        case .stallAfterEvents(let count): breakOff = (count, .stall)
        case .loseProcessAfterEvents(let count): breakOff = (count, .end(Array("proxy error: Failed to read connection".utf8)))
        case .slowHeaders(let milliseconds): headPause = .milliseconds(Int64(milliseconds))
        case .slowBody(let milliseconds): cutting = .singleBytes(pause: .milliseconds(Int64(milliseconds)))
        case .splitEvents: cutting = .odd
        case .wrongLength:
            collectsStream = true
            length = .tooLong
            breakOff = (.max, .close)
        case .twoLengths:
            collectsStream = true
            length = .twice
        case .chunkExtensions: hasChunkExtensions = true
        case .contentLength: collectsStream = true
        case .untilClose: isUntilClose = true
        case .http10:
            isUntilClose = true
            isHTTP10 = true
        case .informational(let status): informational = status
        case .malformedHead(let flaw): headFlaw = flaw
        case .readSlow, .status, .contextExceeded, .bigAnswer, .noContent, .notModified, .gzip, .sometimes: break
        }
    }
}
