use std::time::Duration;

use actix::{Handler, Message};

use super::*;

/// Adds up numbers. Panics at zero.
struct Adder {
    sum: u64,
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

impl Actor for Adder {
    type Context = Context<Self>;
}

impl Supervised for Adder {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.sum = 0;
    }
}

impl Handler<Add> for Adder {
    type Result = u64;

    fn handle(&mut self, Add(addend): Add, _: &mut Context<Self>) -> u64 {
        assert!(addend > 0, "nothing to add");
        self.sum += addend;
        self.sum
    }
}

fn new_supervision(restarts: usize) -> (Supervision, tokio::sync::mpsc::UnboundedReceiver<ExitReason>) {
    let (exit, reasons) = ExitSignal::new();
    let counter = IntCounter::new("restarts", "restarts").unwrap();
    let intensity = Intensity::new(restarts, Duration::from_mins(1));
    (Supervision { actor: "adder", intensity, exit, restarts: counter }, reasons)
}

#[actix_rt::test]
async fn an_actor_that_panics_restarts_at_the_same_address_with_fresh_state() {
    let (supervision, _reasons) = new_supervision(3);
    let restarts = supervision.restarts.clone();
    let adder = start_here(Adder { sum: 0 }, supervision);
    assert_eq!(adder.send(Add(5)).await.unwrap(), 5);
    let bomb = adder.send(Add(0));
    let behind = adder.send(Add(2));
    assert!(bomb.await.is_err(), "the sender of the message that panicked gets an error");
    assert_eq!(behind.await.unwrap(), 2, "the restarted actor handles the message that was queued behind");
    assert_eq!(restarts.get(), 1);
}

#[actix_rt::test]
async fn an_actor_that_panics_too_often_ends_and_the_engine_receives_the_reason() {
    let (supervision, mut reasons) = new_supervision(1);
    let adder = start_here(Adder { sum: 0 }, supervision);
    assert!(adder.send(Add(0)).await.is_err());
    assert_eq!(adder.send(Add(1)).await.unwrap(), 1);
    assert!(adder.send(Add(0)).await.is_err());
    assert_eq!(reasons.recv().await, Some(ExitReason::ActorGaveUp { actor: "adder" }));
    assert!(adder.send(Add(1)).await.is_err());
}

#[actix_rt::test]
async fn an_actor_without_an_address_ends_after_its_last_message() {
    let (supervision, _reasons) = new_supervision(1);
    let adder = start_here(Adder { sum: 0 }, supervision);
    let last = adder.send(Add(7));
    drop(adder);
    assert_eq!(last.await.unwrap(), 7);
}
