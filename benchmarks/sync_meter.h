#pragma once

#include <chrono>

// Time this process has spent in fsync and fdatasync, and how often: the disk's share of a commit.
std::chrono::nanoseconds SyncTime();
int SyncCount();
