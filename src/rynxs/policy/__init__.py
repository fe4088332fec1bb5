"""Policy: CEL rules, type-checked when they are loaded, and the decision that they give for one action."""
