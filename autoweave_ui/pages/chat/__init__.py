"""The pages of the chat area."""
