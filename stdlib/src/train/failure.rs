//! What is told where a device fails in training.

use pipe_core::Failure;
use pipe_nn::DeviceFailure;

pub(super) fn of_device(failure: DeviceFailure) -> Failure {
    let told = Failure::new("pipe::device", failure.to_string());
    match failure {
        DeviceFailure::OutOfMemory => told.param("batch_size").help("lower `batch_size`, or run with --device cpu"),
        DeviceFailure::Other(_) => told.help("`pipe doctor` tries the device; --device cpu does without it"),
    }
}
