"""The walk's stages as pure functions, artifacts in and artifacts out; who stores what is decided in `server.services`."""
