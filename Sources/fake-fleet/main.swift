import ArgumentParser

do {
    try await FakeFleet.parse().run()
} catch {
    FakeFleet.exit(withError: error)
}
