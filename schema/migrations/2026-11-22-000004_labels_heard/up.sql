-- Whether a label has gone into the log, from where the sensor's detector hears of it.
ALTER TABLE labels ADD COLUMN announced boolean NOT NULL DEFAULT false;

-- Labels that changed what a detector learns, and after which of its sensor's readings: replay hears them at the same place.
CREATE TABLE heard_labels (
    sensor  bigint      NOT NULL,
    seq     bigint      NOT NULL,
    started timestamptz NOT NULL,
    label   text        NOT NULL,
    PRIMARY KEY (sensor, seq, started)
);
