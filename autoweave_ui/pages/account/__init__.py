"""The pages of the account area."""
