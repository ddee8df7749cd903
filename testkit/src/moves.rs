//! Which node moved a partition's position or epoch: the database records it.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;

use crate::tables::Tables;

/// Maximum number of forbidden moves that are reported.
const SHOWN: usize = 3;

/// Records every move. A session has the name of its node as `application_name`.
const RECORDER: &str = "
    CREATE TABLE testkit_moves
        (step bigserial, partition int, epoch bigint, generation bigint, n bigint, node text);
    CREATE FUNCTION testkit_record_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO testkit_moves (partition, epoch, generation, n, node)
        VALUES (NEW.id, NEW.epoch, NEW.generation, NEW.n, current_setting('application_name'));
        RETURN NULL;
    END $$;
    CREATE TRIGGER testkit_record_move AFTER UPDATE ON partitions FOR EACH ROW
    WHEN ((OLD.epoch, OLD.generation, OLD.n) IS DISTINCT FROM (NEW.epoch, NEW.generation, NEW.n))
    EXECUTE FUNCTION testkit_record_move();
";

/// A move of a partition's position or epoch.
#[derive(Debug, QueryableByName)]
struct Move {
    #[diesel(sql_type = BigInt)]
    partition: i64,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Text)]
    node: String,
}

impl Tables {
    /// Makes this database record every move of a partition.
    pub async fn record_moves(&mut self) -> anyhow::Result<()> {
        self.execute(RECORDER).await
    }

    /// Describes moves of a partition by a node that did not own it. Needs [`Self::record_moves`].
    pub async fn trespasses(&mut self) -> anyhow::Result<Vec<String>> {
        let query = "SELECT partition::int8, epoch, node FROM testkit_moves ORDER BY step";
        let moves: Vec<Move> = sql_query(query).load(&mut self.connection).await?;
        Ok(trespasses(&moves))
    }
}

/// Only the node that raised a partition's epoch may move the partition in that epoch.
fn trespasses(moves: &[Move]) -> Vec<String> {
    let mut owners = BTreeMap::new();
    let mut found = Vec::new();
    for Move { partition, epoch, node } in moves {
        match owners.get(partition) {
            Some((current, owner)) if current == epoch && owner != node => found.push(format!(
                "partition {partition} was moved by node {node} in epoch {epoch}, which is node {owner}'s"
            )),
            Some((current, _)) if current > epoch => {
                found.push(format!("partition {partition} went back to epoch {epoch}"));
            }
            _ => drop(owners.insert(*partition, (*epoch, node.clone()))),
        }
    }
    found.truncate(SHOWN);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(epoch: i64, node: &str) -> Move {
        Move { partition: 1, epoch, node: node.to_owned() }
    }

    #[test]
    fn only_the_node_that_raised_the_epoch_may_move_the_partition() {
        assert!(trespasses(&[moved(1, "a"), moved(1, "a"), moved(2, "b"), moved(2, "b")]).is_empty());
        assert!(trespasses(&[moved(1, "a"), moved(2, "b"), moved(3, "a"), moved(3, "a")]).is_empty());
        assert_eq!(trespasses(&[moved(1, "a"), moved(2, "b"), moved(2, "a")]).len(), 1);
        assert_eq!(trespasses(&[moved(2, "a"), moved(1, "a")]).len(), 1);
    }
}
