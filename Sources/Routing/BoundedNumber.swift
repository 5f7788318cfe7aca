extension Int {
    /// A number that follows from what engines report, without its fraction. What no quantity can be is cut, and NaN is 0: a conversion
    /// of such a number would end the program.
    package init(bounded value: Double) { self = value.isNaN ? 0 : Int(Swift.max(-1e15, Swift.min(1e15, value))) }
}
