// Copyright © 2026 The mlx-fork authors

#include "metal/program.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace emu::host {
namespace {

// The two ends of a pipe; neither is inherited.
struct Pipe {
  int ends[2];

  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) {
      throw std::runtime_error(std::string("no pipe: ") + strerror(errno));
    }
  }
  Pipe(const Pipe&) = delete;
  ~Pipe() {
    close(ends[0]);
    close_writing();
  }
  void close_writing() {
    if (ends[1] >= 0) {
      close(ends[1]);
      ends[1] = -1;
    }
  }
};

// False where the time is over first.
bool read_all(
    Pipe& output,
    std::string& out,
    Pipe& errors,
    std::string& err,
    int seconds) {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::seconds(seconds);
  struct pollfd streams[2] = {
      {output.ends[0], POLLIN, 0}, {errors.ends[0], POLLIN, 0}};
  std::string* texts[2] = {&out, &err};
  int open = 2;
  while (open > 0) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      return false;
    }
    if (poll(streams, 2, static_cast<int>(left.count())) < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw std::runtime_error(std::string("poll: ") + strerror(errno));
    }
    for (int i = 0; i < 2; ++i) {
      if (streams[i].fd < 0 || streams[i].revents == 0) {
        continue;
      }
      char bytes[4096];
      auto count = read(streams[i].fd, bytes, sizeof(bytes));
      if (count > 0) {
        texts[i]->append(bytes, count);
      } else if (count == 0 || errno != EINTR) {
        streams[i].fd = -1;
        --open;
      }
    }
  }
  return true;
}

} // namespace

Ended run_program(const std::vector<std::string>& words, int seconds) {
  Pipe output, errors;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.ends[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (const auto& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  // A group of its own, so that what it starts can be ended with it.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child;
  int failure = posix_spawnp(
      &child, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    throw std::runtime_error(
        "can't start " + words[0] + ": " + strerror(failure));
  }
  output.close_writing();
  errors.close_writing();
  Ended ended;
  ended.late = !read_all(output, ended.output, errors, ended.errors, seconds);
  if (ended.late) {
    kill(-child, SIGKILL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ended.status =
      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

} // namespace emu::host
