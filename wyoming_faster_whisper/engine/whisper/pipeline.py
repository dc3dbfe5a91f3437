"""Whisper pipeline: the sequence of steps from samples to text, over any acoustic model.

1. Compute the features, and encode them in a window as long as the clip needs (encoder.py,
   window.py).
2. Detect the language, unless it is given, and encode the clip again if that language needs a
   longer window (language.py, first_encoding.py).
3. Decode by beam search, or sample texts at a temperature, and prefer a hypothesis without
   out-of-vocabulary words (decoding.py, rescoring.py).
4. Score the end of the text, for the end of the turn (end_of_text.py).
5. Check the text for hallucination (hallucination.py), and for speech that it leaves out
   (missing_speech.py, coverage.py).
6. Run a second pass over a doubtful text (second_pass.py, rescoring.py).
7. Prefer a hypothesis that Home Assistant's grammar knows as an order (orders.py).
8. Decode the speech that both passes leave out (missing_speech.py).
9. If the text resembles names, run a biased decode, and let the decoder score the texts with
   and without a name (bias.py, prompting.py).
10. Align the text with the audio, if the time of each word or the log-probability of each token
   is requested (word_times.py).

Jobs with the same options, window and prefix, whatever their hotwords, go through steps 1 to 4 as
a batch: a decoder step spends most of its time reading the weights from memory, which takes as
long for one job as for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

from ...speech.turn_classifier import EndOfTextScores
from ..protocol import LONGEST_COMMAND, Job, Transcript
from .acoustic_model import AcousticModel
from .bias import bias
from .calibration.values import Calibrations
from .clip import Clip, Pass
from .decoding import decode_batch
from .encoder import Encoder
from .end_of_text import score_ends
from .first_encoding import encode_first
from .hallucination import Decoded, Verdict, has_words, judge_hypothesis, unfinished
from .missing_speech import check_coverage, fill_gaps
from .orders import prefer_order
from .second_pass import Pace, second_frames, second_pass, unusable
from .word_times import words_and_tokens


class WhisperPipeline:
    """Policy over an acoustic model. Blocking: call it from the worker's threads only.

    Args:
        calibrations: the values fitted for the model; None = those for an unknown model.
        full_window: always use the 30 s window that the model was trained on.
        clock: in seconds. Without one, every second pass ends in time.
    """

    def __init__(
        self,
        model: AcousticModel,
        calibrations: Calibrations | None = None,
        *,
        full_window: bool = False,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._clock = clock
        self._model = model
        self._calibrations = calibrations or Calibrations("")
        self.encoder = Encoder(model, self._calibrations, full_window=full_window)

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        # Names have no part in what clips share: each is compared with those of its own job.
        return replace(job.options, hotwords=()), self.encoder.frames(job), job.prefix

    def decode(self, jobs: Sequence[Job], beam: int) -> list[Transcript]:
        """Decode a batch.

        Args:
            jobs: with the same batch_key().
            beam: beam width of the first pass, unless the options set it.

        Returns:
            One Transcript per job, in order.

        Raises:
            RuntimeError: the model failed.
        """
        began = self._clock()
        features = [self._model.features(job.padded_samples) for job in jobs]
        first = encode_first(
            self._model, self.encoder, jobs, features, self._calibrations.of("").detection
        )
        clips = [
            Clip(
                job=job,
                features=some,
                language=language,
                language_probability=probability,
                prompt=self._model.tokenizer.prompt(job.options, language),
                calibration=self._calibrations.of(language),
                frames=first.frames,
                beam=job.options.beam_size or beam,
            )
            for job, some, (language, probability) in zip(
                jobs, features, first.languages, strict=True
            )
        ]
        decoded = decode_batch(self._model, clips, first.encoding)
        ends = score_ends(self._model, clips, decoded, first.encoding)
        pace = Pace(self._clock, began, (self._clock() - began) / first.effort)
        transcripts: list[Transcript] = []
        encodings = self._model.clip_encodings(first.encoding, len(clips))
        del first  # if the encodings are copies, the batch's takes as much memory again
        for clip, one, end_scores, encoding in zip(clips, decoded, ends, encodings, strict=True):
            clip.encoding = encoding
            transcripts.append(self._finish(clip, one, end_scores, pace))
        return transcripts

    def _finish(
        self, clip: Clip, decoded: Decoded, end_scores: EndOfTextScores | None, pace: Pace
    ) -> Transcript:
        """Turn the result of a first pass into a transcript.

        Args:
            end_scores: end-of-text scores, which the transcript carries; None = not requested.
        """
        job = clip.job
        believed, verdict, passes = self._believe(clip, decoded, pace)
        text = "" if verdict is Verdict.NO_SPEECH else believed.decoded.text
        if believed.gaps and not job.quick and text:
            decode = partial(self._decode_part, beam=clip.beam)
            text = fill_gaps(self._model.tokenizer, clip, believed, decode)
            passes += len(believed.gaps)
        if not text.startswith(job.prefix):
            text = job.prefix  # text that was sent is never retracted
        text, biased = bias(self._model, self.encoder, clip, text, believed.decoded)
        words, token_logprobs = words_and_tokens(
            self._model, clip, text, partial(self.encoder.first, clip)
        )
        return Transcript(
            text,
            clip.language,
            language_probability=clip.language_probability,
            provisional=bool(believed.gaps)
            or unfinished(decoded, clip.calibration.hallucination.min_logprob)
            or (job.quick and verdict is Verdict.SECOND_PASS),
            unusable=verdict is Verdict.SECOND_PASS and unusable(believed),
            avg_logprob=believed.decoded.avg_logprob,
            passes=passes + biased,
            verdict=verdict.value,
            end_scores=end_scores,
            tokens=tuple(self._model.tokenizer.encode(text)) if text else (),
            no_speech_prob=believed.decoded.no_speech_prob,
            words=words,
            token_logprobs=token_logprobs,
            temperature=job.options.temperature,
            turn_classifier=clip.calibration.end_of_turn if end_scores else None,
        )

    def _believe(self, clip: Clip, decoded: Decoded, pace: Pace) -> tuple[Pass, Verdict, int]:
        """Check the text of a first pass, run a second one over a doubtful text, and choose.

        There is no second pass that would end too late, except over an unusable text.

        Returns:
            The pass to believe, the verdict, and the number of passes.
        """
        believed, verdict = self._check(clip, decoded)
        passes = 1
        if verdict is Verdict.SECOND_PASS and not clip.job.quick:
            ends = pace.after(second_frames(self.encoder, clip, believed))
            if unusable(believed) or ends <= clip.job.answer_within:
                believed, verdict = self._second_pass(clip, believed)
                passes = 2
            elif clip.speech_odds(decoded) < 0:
                verdict = Verdict.NO_SPEECH
        if not believed.gaps and verdict is not Verdict.NO_SPEECH:
            believed = replace(believed, decoded=prefer_order(clip, believed.decoded))
        return believed, verdict, passes

    def _check(self, clip: Clip, decoded: Decoded) -> tuple[Pass, Verdict]:
        """Judge the text of a first pass, and compare it with the audio."""
        job = clip.job
        verdict = judge_hypothesis(
            decoded,
            clip.calibration.hallucination,
            certain_speech=job.certain_speech,
            speech_odds=clip.speech_odds(decoded),
            sure=clip.calibration.speech.sure,
            speech_seconds=job.speech_seconds,
            long=job.seconds > LONGEST_COMMAND,
        )
        if verdict is Verdict.NO_SPEECH:
            return Pass(decoded), verdict
        first = check_coverage(self._model, clip, decoded, partial(self.encoder.first, clip))
        return first, Verdict.SECOND_PASS if first.gaps else verdict

    def _second_pass(self, clip: Clip, first: Pass) -> tuple[Pass, Verdict]:
        """Run a second pass; there is no speech if both passes together heard none."""
        believed, second = second_pass(self._model, self.encoder, clip, first)
        written = [each for each in (first.decoded, second) if has_words(each.text)]
        odds = sum(clip.speech_odds(each) for each in written)
        spoken = odds >= 0 and has_words(believed.decoded.text)
        return believed, Verdict.SECOND_PASS if spoken else Verdict.NO_SPEECH

    def _decode_part(self, part: Job, *, beam: int) -> Transcript:
        return self.decode([part], beam)[0]
