"""Pure decisions about tools: what a manifest may say, and what fits a schema."""
