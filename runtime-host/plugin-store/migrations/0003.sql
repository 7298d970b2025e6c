-- The name of the plugin's folder or file: what the id, its data and its grants belong to.
ALTER TABLE plugins ADD COLUMN folder TEXT;
