"""What the engine ``local`` knows: cell types, their markers, and the tissues they occur in."""
