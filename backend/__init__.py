"""What AutoWeave does: three floors of rooms, the doors around them, and the wiring."""
