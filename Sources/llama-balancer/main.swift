import App

Program.start()
