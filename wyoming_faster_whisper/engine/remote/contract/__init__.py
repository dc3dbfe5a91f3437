"""What the server and its decode servers say to each other: jobs and transcripts as tensors."""
