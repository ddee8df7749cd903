-- expired: rows of the ledger that retention has dropped since. clean: the owner gave the partition back in order; false while it is owned, and
-- after an owner that died. algorithm: the version of the detection that scores the partition from its position on.
ALTER TABLE partitions
    ADD COLUMN expired   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN clean     boolean NOT NULL DEFAULT true,
    ADD COLUMN algorithm int;

-- Readings that are skipped, by their place in the log: durable before anything after them is processed, so that every replay obeys.
-- poison: it panicked its detector, or killed the process, again and again. unstorable: PostgreSQL does not take its row.
CREATE TABLE verdicts (
    partition  int         NOT NULL,
    generation bigint      NOT NULL,
    n          bigint      NOT NULL,
    item       int         NOT NULL,
    verdict    text        NOT NULL CHECK (verdict IN ('poison', 'unstorable')),
    sensor     text        NOT NULL,
    ts         timestamptz NOT NULL,
    detail     text        NOT NULL,
    decided    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, generation, n, item)
);

-- Stretches of the log that Redis acknowledged and lost, without their ends: after the first position and before the second.
CREATE TABLE log_losses (
    partition         int         NOT NULL,
    after_generation  bigint      NOT NULL,
    after_n           bigint      NOT NULL,
    before_generation bigint      NOT NULL,
    before_n          bigint      NOT NULL,
    noticed           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, after_generation, after_n, before_generation, before_n)
);

-- When a letter was last put back through the front door.
ALTER TABLE dead_letters ADD COLUMN replayed timestamptz;

-- stored: rows that stand in readings now.
CREATE OR REPLACE VIEW ledger AS
SELECT id AS partition, delivered, scored, poison, late, duplicates, dead_letters,
       delivered - scored - poison - late - duplicates - dead_letters AS unaccounted,
       scored + poison + late - expired AS stored, expired
FROM partitions;
