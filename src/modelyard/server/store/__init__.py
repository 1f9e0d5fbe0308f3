"""What the server remembers: one Protocol a noun, and SQL behind them."""
