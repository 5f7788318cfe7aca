/// A text that must not be displayed. Printing, dumping or interpolating it gives `***`.
package struct Secret: Equatable, Sendable {
    /// The text itself. Use it only to send it to the server that it belongs to.
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

/// A configured field for every request to a server. Its value is often a credential, so it is a `Secret`.
package struct HeaderField: Equatable, Sendable {
    package var name: String
    package var value: Secret

    package init(name: String, value: Secret) {
        self.name = name
        self.value = value
    }

    package init(name: String, value: String) { self.init(name: name, value: Secret(value)) }
}
