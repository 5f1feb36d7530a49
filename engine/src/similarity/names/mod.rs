//! Names like listed names: every name of a watchlist that could reach the cut-off is found, then ranked.
