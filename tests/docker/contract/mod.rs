//! The contract of [`Engine`]: each test runs on the engine in memory and on the real daemon.

mod commands;
mod containers;
mod files;
mod logs;
mod volumes;

use cflite::docker::{BollardEngine, DockerError, Engine};

use crate::bench::Bench;

macro_rules! contract {
    ($($group:ident::$name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                super::Bench::fake().run(super::$group::$name).await;
            })+
        }
        mod real_daemon {
            $(#[tokio::test]
            async fn $name() {
                if let Some(bench) = super::Bench::real().await {
                    bench.run(super::$group::$name).await;
                }
            })+
        }
    };
}

contract!(
    containers::a_container_lives_and_every_verb_can_be_repeated,
    containers::what_is_gone_stays_gone,
    containers::a_name_can_be_used_once,
    containers::lists_hold_what_carries_all_labels,
    containers::waiting_gives_the_exit_status,
    containers::one_that_ignores_sigterm_is_killed_after_the_grace,
    containers::one_that_uses_too_much_memory_says_so,
    containers::changes_are_told_in_order,
    containers::containers_join_networks,
    containers::usage_and_size_are_measured,
    logs::logs_come_in_frames_with_times,
    logs::logs_start_where_asked,
    logs::following_ends_with_the_container,
    files::files_go_in_and_come_out,
    files::images_are_made_named_saved_and_removed,
    files::a_broken_pull_is_an_error,
    volumes::a_volume_is_filled_through_a_container_that_never_ran,
    volumes::a_volume_comes_out_of_a_container_that_never_ran,
    volumes::a_missing_volume_is_created_without_labels,
    commands::a_command_gets_its_input_and_tells_its_status,
    commands::a_command_has_a_terminal_that_shows_any_byte,
    commands::a_killed_container_ends_with_its_signal,
    commands::limits_change_while_a_container_runs,
    commands::a_frozen_container_goes_on_where_it_was,
    commands::all_users_of_a_volume_are_known,
);

#[tokio::test]
async fn a_daemon_that_is_not_there_is_told_by_its_address() {
    let engine = BollardEngine::new("unix:///nonexistent/docker.sock");
    let error = engine.info().await.expect_err("nobody answers");
    assert!(matches!(error, DockerError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/docker.sock"));
}
