"""What Chainlit loads as the chat's module: nothing, because `chat_ui.hooks` has registered all that there is."""
