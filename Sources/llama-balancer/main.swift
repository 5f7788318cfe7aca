import App

await Program.run()
