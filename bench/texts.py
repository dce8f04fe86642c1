"""Texts of the performance page."""

INTRO = """# Performance

Written by `make bench` from `bench/results/*.json`; don't edit it. Every figure is a median, with
the lowest and the highest in brackets where it was taken several times. What is compared takes
turns (A B A B) in one run, so that a slower moment of the machine slows both. CPU is user and
system time of a server's whole process tree, memory its proportional set size (PSS). Clips are made
signals; no corpus is needed. Peers are real HTTP servers over the same ONNX file in an environment
of their own (`bench/peers/`). All score two clips at a time: this service with two threads of one
process, the peers in two processes.

What the peers don't do, and this service does for the same request: decode in a process that a
hostile file can't take down, the sha256 and the quality of the clip, spans and the confidence map.
"""

BUSY = """
**The machine was busy with other work (load average up to {load}).** CPU times are then somewhat
higher, and wall times, throughput and latency much worse than on an idle machine, above all for
servers that run fewer threads: run `make bench` again on an idle one before comparing those.
"""

BESIDE = """
The other columns are further models by their folder in `bench/results/`: `light` is the light version
(`--model serving/light/detector.onnx --out bench/results/light`), an architecture's name its stand-in with
random weights, which take the time that trained ones take. `avx2` and `avx2-light` are the shipped model
(version 51) and the light one on 2 cores of an AMD EPYC (Zen 3), which has no AVX-512 and no VNNI. The first
column is version 44's: where there is VNNI the two are computed alike. Without it version 44 has to be asked
for wide sums (`serving/session.py`), with which version 51 would take 1.24 times as long and say the same;
measured so a day before, 44 had 2.4 to 2.7 times less CPU than the seed's pipeline, an hour at 101 times real
time in 200 MB.

On the day of the first column the same graph took 62 to 130 ms from one time to the next; version 32, of 0.77
of its products and the same time, had on such a day 5.2 to 5.6 times less CPU than the seed, 0.38 of the
roofline, 272 MB after load and 277 times real time for the hour.
"""

PEERS = """
`mlflow` takes the decoded samples as JSON numbers, which is what its users send: not like for like.
`seed` is the student app that this project follows, written anew from its description
(`bench/seed_app.py`).
"""

LOAD = """
At {part[rate_per_s]} requests a second (70 %, arriving by chance): latency {part_ms}; one request
alone {alone_ms}. {part[refused]} refused, {part[failed]} failed.

At {over[rate_per_s]} a second (twice the capacity): {over[accepted]} accepted with {over_ms},
{over[refused]} refused with 503 after {refused_ms}, {over[failed]} failed otherwise. Two clips
are scored at a time and 32 wait; the rest is refused at once, with Retry-After.
"""

STAGES = """
Each stage but the network's is timed by itself, over and over; within a served request it takes longer.
There, touching new memory costs more than most of this work: the C library gives back what a clip's
samples and spectra took and asks for it anew, page by page, unless a large model file that was freed once
had raised its limit. So the service has it keep what is freed (`serving/memory.py`), takes spectra of 64
frames at a time, and the thread that scored last is the next to score.
"""

ROOFLINE = """
One core reaches {machine[gemm_gflops]} GFLOP/s in matrix products, {machine[convolution_gflops]} in
3x3 convolutions, {machine[int8_gops]} in products of 8-bit integers (best of some sizes, through
onnxruntime), and copies {machine[copied_gb_per_s]} GB/s. The graph's products take {gflop} GFLOP for
{windows} windows; each at the peak of its kind, or at the copy rate where that is slower:
{least_ms} ms. Measured: {measured} ms, {reached_gflops} GFLOP/s. What is not a product counts as
free in the estimate.

"""

INT8 = """
Shipped is the {shipped} form. Int8 scales from {calibrated_on}; float over int8: {ratio}; largest
change of an LLR on a made clip: {largest_llr_change}.
"""

INT8_ACCURACY = """
EER on {clips} test clips: float {eer_float:.2%}, int8 {eer_int8:.2%}; 95 % interval of the loss
{eer_lost_95[0]:.2%} to {eer_lost_95[1]:.2%}.
"""
