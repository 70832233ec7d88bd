//! Unreadable rows: nothing is stopped because of them, and nothing else is blocked.

use super::world::{World, all_running};
use crate::db::DbError;
use crate::scheduler::fake::process;

#[tokio::test(start_paused = true)]
async fn an_app_whose_row_cannot_be_read_keeps_its_instances_and_their_traffic() {
    let mut world = World::new();
    world.want(vec![process("p", 2), process("q", 1)]).await;
    world.settle().await;
    let (instances, containers) = (world.instances("p").await, world.running().await);
    world.kill().await;
    world.desired.set_unreadable(&["p"]);
    world.start_again();
    // All others are reconciled.
    world.want(vec![process("q", 2)]).await;
    world.settle().await;
    assert_eq!(world.instances("p").await, instances);
    assert_eq!(world.instances("q").await.len(), 2);
    assert_eq!(world.routable(), 4);
    let running = world.running().await;
    assert!(containers.iter().all(|id| running.contains(id)));

    // An instance that exits meanwhile loses its traffic, and restarts once the row is readable.
    let ended = world.container().await;
    world.engine.exit(&ended, 1);
    let mut routable = world.scheduler.routable();
    let less = routable.wait_for(|all| all.len() == 3).await.is_ok();
    assert!(less);
    assert_eq!(world.instances("p").await, instances);
    world.desired.set_unreadable(&[]);
    world.want(vec![process("p", 2), process("q", 2)]).await;
    world.until(all_running(2)).await;
    world.settle().await;
    assert_eq!(world.routable(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_instance_is_removed_although_its_row_cannot_be_read() {
    let world = World::new();
    world.want(vec![process("p", 2)]).await;
    world.settle().await;
    world.want(vec![process("p", 1)]).await;
    world
        .until(|all| all.len() == 2 && !all_running(2)(all))
        .await;
    world.desired.set_unreadable(&["p"]);
    world.want(Vec::new()).await;
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING");
    assert_eq!(world.running().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_an_unreadable_record_is_adopted_by_its_container() {
    let world = World::new();
    world.want(vec![process("p", 2), process("q", 1)]).await;
    world.settle().await;
    let containers = world.running().await;
    let damage = "update instances set process_type = cast(x'ff' as text) \
                  where process_guid = 'p' and instance_index = 0";
    world
        .db
        .write(move |tx| Ok::<_, DbError>(tx.sql().execute_batch(damage)?))
        .await
        .expect("damaged");
    world.settle().await;
    world.until(all_running(2)).await;
    world.settle().await;
    assert_eq!(world.running().await, containers);
    assert_eq!(world.routable(), 3);
    assert_eq!(world.db.unreadable_rows(), 0);
    world.want(vec![process("p", 2), process("q", 3)]).await;
    world.settle().await;
    assert_eq!(world.running().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_handled_although_its_event_is_lost() {
    let world = World::new();
    world.want(vec![process("p", 1), process("q", 1)]).await;
    world.settle().await;
    world.observer.refuse();
    world.engine.exit(&world.container().await, 1);
    world
        .until(|all| all_running(1)(all) && all[0].crash_count == 1)
        .await;
    world.settle().await;
    assert_eq!(world.routable(), 2);
}
