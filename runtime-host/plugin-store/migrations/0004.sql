-- The user that did it; none for decisions about calls of a plugin.
ALTER TABLE audit ADD COLUMN by TEXT;
