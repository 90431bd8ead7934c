#pragma once

namespace tarn {

/// To be called before the first buffer is made. Arrow's buffers come and go by the megabyte; given back to
/// the system at once, as its own pool and malloc's defaults do, they are zeroed again each time: a fifth of
/// the CPU time of a stream. ARROW_DEFAULT_MEMORY_POOL in the environment takes Arrow's part of it back.
void KeepFreedMemory();

/// Gives the system what is kept and not in use, some hundred megabytes within milliseconds: before something
/// else becomes large, and when less is to be done. Threads: any.
void ReleaseFreedMemory();

}  // namespace tarn
