-- Every configuration that a row was made with: readings.config names it. Written with the first row of each.
CREATE TABLE configs (
    id       bigint PRIMARY KEY,
    settings text   NOT NULL
);

-- How the sensors of a partition are configured from its position on: what the newest control entry in its log said. Null before the first.
ALTER TABLE partitions ADD COLUMN detectors text;
