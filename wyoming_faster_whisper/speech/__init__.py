"""What to do with sound: is somebody speaking, since when, until when."""
