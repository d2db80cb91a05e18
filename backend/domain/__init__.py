"""What people build and use: agents, flows, chats, tools, models."""
