"""Contract between the server and its decode servers: jobs and transcripts as tensors."""
