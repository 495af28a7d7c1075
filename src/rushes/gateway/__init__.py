"""The gateway: the OpenAI Videos API, Azure's, and our own, over whichever model serves. Nothing in here decides."""
