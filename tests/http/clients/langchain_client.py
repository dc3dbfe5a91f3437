"""Transcribe with LangChain's OpenAIWhisperParser: ... URL CLIP"""

import json
import sys

import imageio_ffmpeg
from langchain_community.document_loaders.parsers.audio import OpenAIWhisperParser
from langchain_core.documents.base import Blob
from pydub import AudioSegment

AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()
url, clip = sys.argv[1:]
parser = OpenAIWhisperParser(
    base_url=f"{url}/v1", api_key="none", language="en", response_format="json", temperature=0
)
print(
    json.dumps(
        {"texts": [document.page_content for document in parser.parse(Blob.from_path(clip))]}
    )
)
