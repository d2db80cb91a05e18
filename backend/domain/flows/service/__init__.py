"""The durable engine: `Flows` are its verbs, `RunWorker` claims, `Execution` runs, `Committer` writes."""
