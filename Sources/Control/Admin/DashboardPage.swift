/// The page `/llmhealth-monitor`: three files that are part of the program.
///
/// The page asks for its two other files, and for its data, by relative addresses, so it also works below a path prefix
/// of another proxy in front. Therefore the page itself must not end in a slash: `answer(to:)` says where to go instead.
enum DashboardPage {
    enum Answer: Equatable, Sendable {
        /// 200 with these bytes and `DashboardPage.headers`.
        case file(contentType: String, bytes: [UInt8])
        /// 308 with this `Location`, which is relative to the path asked for.
        case redirect(location: String)
    }

    /// Sent with each of the files. The policy lets the page load nothing but its own files and data: no inline script,
    /// nothing from elsewhere. `no-cache` makes an update of the program show at once.
    static let headers: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        ),
        ("Cache-Control", "no-cache"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]

    /// What a `GET` or `HEAD` of this path gets; nil when the path is not one of the page's.
    ///
    /// - Parameter path: without the query.
    static func answer(to path: String) -> Answer? {
        switch path {
        case "/llmhealth-monitor":
            .file(contentType: "text/html; charset=utf-8", bytes: PackageResources.index_html)
        case "/llmhealth-monitor/dashboard.js":
            .file(contentType: "text/javascript; charset=utf-8", bytes: PackageResources.dashboard_js)
        case "/llmhealth-monitor/style.css":
            .file(contentType: "text/css; charset=utf-8", bytes: PackageResources.style_css)
        case "/llmhealth-monitor/":
            .redirect(location: "../llmhealth-monitor")
        default:
            nil
        }
    }
}
