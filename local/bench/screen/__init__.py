"""How the attendant's screen behaves with many messages and many chats."""
