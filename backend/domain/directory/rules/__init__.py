"""What a card says, how it is signed, and which card is believed."""
