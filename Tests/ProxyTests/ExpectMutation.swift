import Testing

/// Expects what a call that changes its value has returned; `#expect` itself cannot look into such a call.
func expect<Value: Equatable>(
    _ returned: Value, is expected: Value, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(returned == expected, comment, sourceLocation: sourceLocation)
}
