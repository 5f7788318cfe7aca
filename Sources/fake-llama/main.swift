import ArgumentParser

do {
    try await FakeLlama.parse().run()
} catch {
    FakeLlama.exit(withError: error)
}
