"""Published bugs of engines, each as a scenario that shows it; `bugs.toml` says where."""
