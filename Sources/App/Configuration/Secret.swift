/// A text that must not be shown: printing, dumping or interpolating it gives `***`.
package struct Secret: Equatable, Sendable {
    /// The text itself. Use it only to send it to the server it is for.
    package let exposed: String

    package init(_ text: String) {
        exposed = text
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "***" }
    package var debugDescription: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
